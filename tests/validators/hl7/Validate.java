import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.DefaultProfileValidationSupport;
import ca.uhn.fhir.parser.IParser;
import ca.uhn.fhir.validation.FhirValidator;
import ca.uhn.fhir.validation.ResultSeverityEnum;
import ca.uhn.fhir.validation.SingleValidationMessage;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.hl7.fhir.common.hapi.validation.support.CommonCodeSystemsTerminologyService;
import org.hl7.fhir.common.hapi.validation.support.InMemoryTerminologyServerValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.PrePopulatedValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.SnapshotGeneratingValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.ValidationSupportChain;
import org.hl7.fhir.common.hapi.validation.validator.FhirInstanceValidator;
import org.hl7.fhir.utilities.npm.NpmPackage;

/**
 * Validates FHIR R4, in JSON or XML, with HL7's own validator, through HAPI FHIR, without a network.
 *
 * <p>Usage: java -cp CLASSPATH Validate.java PACKAGE. It knows R4 and the conformance
 * resources in the package of FHIR's kind PACKAGE. Each line of standard input names a file, or a folder
 * of .json and .xml files. Each line of standard output is the answer to one such line: how many
 * files there were, and a JSON list of what the validator says of them.
 *
 * <p>One process serves all the documents of a test session: it takes several seconds to
 * load R4, and some milliseconds for each document after that.
 */
public class Validate {
  private static final Set<String> KINDS =
      Set.of(
          "CodeSystem",
          "ImplementationGuide",
          "OperationDefinition",
          "SearchParameter",
          "StructureDefinition",
          "ValueSet");

  private final FhirValidator validator;

  private Validate(Path path) throws IOException {
    FhirContext r4 = FhirContext.forR4();
    PrePopulatedValidationSupport own = new PrePopulatedValidationSupport(r4);
    IParser parser = r4.newJsonParser();
    try (InputStream stream = Files.newInputStream(path)) {
      NpmPackage installed = NpmPackage.fromPackage(stream);
      for (String name : installed.listResources(KINDS)) {
        own.addResource(parser.parseResource(installed.loadResource(name)));
      }
    }
    FhirInstanceValidator instances =
        new FhirInstanceValidator(
            new ValidationSupportChain(
                own,
                new DefaultProfileValidationSupport(r4),
                new CommonCodeSystemsTerminologyService(r4),
                new InMemoryTerminologyServerValidationSupport(r4),
                new SnapshotGeneratingValidationSupport(r4)));
    // What nobody here defines is a fault, not a matter of taste.
    instances.setAnyExtensionsAllowed(false);
    instances.setErrorForUnknownProfiles(true);
    validator = r4.newValidator().registerValidatorModule(instances);
  }

  private List<Map<String, String>> messages(Path file) throws IOException {
    List<Map<String, String>> found = new ArrayList<>();
    for (SingleValidationMessage message :
        validator.validateWithResult(Files.readString(file)).getMessages()) {
      if (message.getSeverity() == ResultSeverityEnum.INFORMATION) {
        continue;
      }
      Map<String, String> fields = new LinkedHashMap<>();
      fields.put("file", file.getFileName().toString());
      fields.put("severity", message.getSeverity().getCode());
      fields.put("path", message.getLocationString());
      fields.put("kind", message.getMessageId());
      fields.put("message", message.getMessage());
      found.add(fields);
    }
    return found;
  }

  private static boolean isResource(Path path) {
    return path.toString().endsWith(".json") || path.toString().endsWith(".xml");
  }

  public static void main(String[] arguments) throws IOException {
    // Libraries print to standard output at will; the answers are all that may stand there.
    PrintStream answers = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    System.setOut(System.err);
    Validate validate = new Validate(Path.of(arguments[0]));
    ObjectMapper json = new ObjectMapper();
    BufferedReader lines =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      List<Map<String, String>> found = new ArrayList<>();
      int count = 0;
      try (Stream<Path> files = Files.walk(Path.of(line))) {
        for (Path file : files.filter(Validate::isResource).sorted().toList()) {
          found.addAll(validate.messages(file));
          count++;
        }
      }
      answers.println(json.writeValueAsString(Map.of("files", count, "found", found)));
    }
  }
}
