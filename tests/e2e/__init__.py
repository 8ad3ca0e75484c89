"""The deployed system, seen from outside: plain boto3 against the embedded AWS under enforced IAM.

Nothing of the product is imported but what starts the server. What the cases know is the public interface, and the keys of
the items they look at.
"""
