"""Programs and proxies times networks: from tensors to numbers of instances to scores of networks."""
