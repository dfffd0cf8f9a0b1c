"""
The sandbox's national service platform (`virtualiseringsplattform`) and its services.

It routes SOAP calls by logical address to the regions over HTTP, with the faults and
headers of skltp/vp. Behind it are an aggregating service with the manners of skltp/agp
and a service catalogue.
"""
