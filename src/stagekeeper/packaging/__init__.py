"""From a checkout to the artifact bucket: build, zip, upload what is missing. Must not know what an operation is."""
