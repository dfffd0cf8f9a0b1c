// HAPI's generic client, of Java; ../node/serve.mjs says how a program asks it.

import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.parser.IParser;
import ca.uhn.fhir.rest.api.MethodOutcome;
import ca.uhn.fhir.rest.api.PreferReturnEnum;
import ca.uhn.fhir.rest.client.api.IGenericClient;
import ca.uhn.fhir.rest.client.api.ServerValidationModeEnum;
import ca.uhn.fhir.rest.client.interceptor.BearerTokenAuthInterceptor;
import ca.uhn.fhir.rest.server.exceptions.BaseServerResponseException;
import ca.uhn.fhir.util.VersionUtil;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.hl7.fhir.instance.model.api.IBaseResource;
import org.hl7.fhir.r4.model.Bundle;
import org.hl7.fhir.r4.model.CapabilityStatement;
import org.hl7.fhir.r4.model.IdType;
import org.hl7.fhir.r4.model.Parameters;
import org.hl7.fhir.r4.model.Resource;
import org.hl7.fhir.r4.model.StringType;

class WithHapi {
  interface Verb {
    IBaseResource act(JsonNode arguments) throws Exception;
  }

  static final ObjectMapper JSON = new ObjectMapper();
  static final FhirContext R4 = FhirContext.forR4();
  static final PrintStream OUT = new PrintStream(System.out, true, StandardCharsets.UTF_8);
  static final Map<String, Verb> VERBS = new LinkedHashMap<>();

  static IParser parser() {
    return R4.newJsonParser();
  }

  static IBaseResource resource(JsonNode json) {
    return parser().parseResource(json.toString());
  }

  static Map<String, List<String>> query(JsonNode json) {
    Map<String, List<String>> found = new LinkedHashMap<>();
    json.properties().forEach((each) -> found.put(each.getKey(), List.of(each.getValue().asText())));
    return found;
  }

  static Class<? extends IBaseResource> type(String name) {
    return R4.getResourceDefinition(name).getImplementingClass();
  }

  static void offer(IGenericClient client) {
    VERBS.put("metadata", (given) -> client.capabilities().ofType(CapabilityStatement.class).execute());
    VERBS.put("search", (given) ->
        client.search().forResource(given.get(0).asText()).whereMap(query(given.get(1)))
            .returnBundle(Bundle.class).execute());
    VERBS.put("next", (given) -> client.loadPage().next((Bundle) resource(given.get(0))).execute());
    VERBS.put("read", (given) ->
        client.read().resource(given.get(0).asText()).withId(given.get(1).asText()).execute());
    VERBS.put("vread", (given) ->
        client.read().resource(given.get(0).asText())
            .withIdAndVersion(given.get(1).asText(), given.get(2).asText()).execute());
    VERBS.put("ask", (given) -> {
      Parameters parameters = new Parameters();
      query(given.get(2)).forEach((name, values) ->
          parameters.addParameter().setName(name).setValue(new StringType(values.get(0))));
      return unwrapped(client.operation().onType(type(given.get(0).asText()))
          .named("$" + given.get(1).asText()).withParameters(parameters).useHttpGet().execute());
    });
    VERBS.put("call", (given) -> {
      IBaseResource sent = resource(given.get(2));
      Parameters parameters;
      if (sent instanceof Parameters wrapped) {
        parameters = wrapped;
      } else {
        // HAPI sends Parameters only.
        parameters = new Parameters();
        parameters.addParameter().setName("resource").setResource((Resource) sent);
      }
      return unwrapped(client.operation().onType(type(given.get(0).asText()))
          .named("$" + given.get(1).asText()).withParameters(parameters).execute());
    });
    VERBS.put("create", (given) ->
        made(client.create().resource(resource(given.get(0))).prefer(PreferReturnEnum.REPRESENTATION).execute()));
    VERBS.put("createIfNone", (given) ->
        made(client.create().resource(resource(given.get(0)))
            .conditionalByUrl("Appointment?" + given.get(1).asText())
            .prefer(PreferReturnEnum.REPRESENTATION).execute()));
    VERBS.put("update", (given) ->
        made(client.update().resource(unversioned(given.get(0))).prefer(PreferReturnEnum.REPRESENTATION).execute()));
    VERBS.put("updateIf", (given) -> {
      Resource changed = unversioned(given.get(0));
      changed.setId(changed.getIdElement().withVersion(given.get(1).asText()));
      return made(client.update().resource(changed).prefer(PreferReturnEnum.REPRESENTATION)
          .withAdditionalHeader("If-Match", "W/\"" + given.get(1).asText() + "\"").execute());
    });
    VERBS.put("patch", (given) ->
        made(client.patch().withBody(given.get(2).toString())
            .withId(new IdType(given.get(0).asText(), given.get(1).asText()))
            .prefer(PreferReturnEnum.REPRESENTATION).execute()));
    VERBS.put("patchByPath", (given) ->
        made(client.patch().withFhirPatch((Parameters) resource(given.get(2)))
            .withId(new IdType(given.get(0).asText(), given.get(1).asText()))
            .prefer(PreferReturnEnum.REPRESENTATION).execute()));
    VERBS.put("readXml", (given) ->
        client.read().resource(given.get(0).asText()).withId(given.get(1).asText()).encodedXml().execute());
    VERBS.put("createXml", (given) ->
        made(client.create().resource(resource(given.get(0))).prefer(PreferReturnEnum.REPRESENTATION)
            .encodedXml().execute()));
    VERBS.put("batch", (given) -> client.transaction().withBundle((Bundle) resource(given.get(0))).execute());
  }

  static Resource unversioned(JsonNode json) {
    Resource read = (Resource) resource(json);
    read.setId(read.getIdElement().toUnqualifiedVersionless());
    return read;
  }

  static IBaseResource made(MethodOutcome outcome) {
    return outcome.getResource();
  }

  static IBaseResource unwrapped(IBaseResource answer) {
    // HAPI puts a resource that an operation answers into Parameters.
    if (answer instanceof Parameters parameters && parameters.getParameterFirstRep().hasResource()) {
      return parameters.getParameterFirstRep().getResource();
    }
    return answer;
  }

  static void say(ObjectNode line) {
    OUT.println(line);
  }

  public static void main(String[] arguments) throws Exception {
    R4.getRestfulClientFactory().setServerValidationMode(ServerValidationModeEnum.NEVER);
    IGenericClient client = R4.newRestfulGenericClient(System.getenv("BASE_URL"));
    client.registerInterceptor(new BearerTokenAuthInterceptor(System.getenv("TOKEN")));
    offer(client);
    ObjectNode hello = JSON.createObjectNode().put("name", "HAPI").put("version", VersionUtil.getVersion());
    VERBS.keySet().forEach(hello.putArray("verbs")::add);
    say(hello);
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      JsonNode asked = JSON.readTree(line);
      ObjectNode answer = JSON.createObjectNode();
      try {
        IBaseResource value = VERBS.get(asked.get("verb").asText()).act(asked.get("arguments"));
        answer.set("value", JSON.readTree(parser().encodeResourceToString(value)));
      } catch (BaseServerResponseException error) {
        ObjectNode failed = answer.putObject("error").put("text", String.valueOf(error.getMessage()));
        failed.put("status", error.getStatusCode());
        if (error.getOperationOutcome() != null) {
          failed.set("outcome", JSON.readTree(parser().encodeResourceToString(error.getOperationOutcome())));
        }
      } catch (Exception error) {
        answer.putObject("error").put("text", String.valueOf(error));
      }
      say(answer);
    }
  }
}
