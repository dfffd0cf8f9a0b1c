"""Adapters of national services, over real SOAP to the sandbox."""
