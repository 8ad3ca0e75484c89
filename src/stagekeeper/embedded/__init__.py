"""The embedded AWS: a pinned ministack under enforced IAM, with a thin fidelity layer, run as a background process.

What is here is for people's own machines and for the tests: `server.py` is the process, `fidelity/` makes ministack
answer as AWS does where this system leans on it, `instance.py` starts and stops one process on one port, `deploy.py`
brings the control plane onto it with the real `sam` CLI.

It must not know the product: nothing here imports `stagekeeper.domain`, `stagekeeper.aws` or `stagekeeper.handlers`,
and the product never knows that it runs here. None of this is in the handlers' zip.
"""
