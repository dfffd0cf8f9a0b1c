"""
The sandbox's issuer of tokens: OpenID Connect, and SMART App Launch 2.2.

It logs in ready-made persons without a password, so only a demo or a test may trust it.

    persons, clients    who can log in, and which programs it knows
    scopes              which scopes it grants
    parameters          reads the parameters of a request strictly
    signed_token        reads signed tokens strictly
    client_assertion    private_key_jwt: proves which program asks
    authorization       what a program asks for, and what a code stands for
    one_time            secrets that can be used once: codes and logins
    signing_keys        its keys, and their rotation
    tokens              makes access tokens and ID tokens, and reads them again
    login, login_page   how a person logs in
    metadata            what it can do
    answer, app         answers and routes
"""
