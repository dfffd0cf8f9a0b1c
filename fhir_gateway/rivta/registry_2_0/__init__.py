"""
The contracts of infrastructure:itintegration:registry 2.0: who supports which contract.
"""
