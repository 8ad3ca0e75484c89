"""The contract suite: what the system leans on in AWS, one behaviour a case, run against every double of AWS we use.

A case names its AWS source. It speaks plain boto3 and knows nothing of the product. Where a double is wrong, the case
is a strict expected failure for that double alone: the day the double is mended, the suite says so.
"""
