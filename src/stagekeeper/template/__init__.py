"""From the text of a user's template to plain CloudFormation. Knows YAML and SAM, and neither AWS nor the control plane."""
