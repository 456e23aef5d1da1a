import tests.standin  # noqa: F401
