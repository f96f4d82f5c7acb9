"""Why the agent cannot say who it is."""


class CredentialsError(Exception):
    """There is no token; asking for one again may help. The text is for the operator, and holds no secrets."""


class UnusableCredentials(CredentialsError):
    """The credentials cannot work as they are set up: at the start the agent ends with this line for the operator."""
