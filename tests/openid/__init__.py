"""A real OpenID provider for the tests of signing in: npm's `oidc-provider`, run by node."""
