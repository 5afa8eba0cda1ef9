"""The ports of domain, made of disks, databases and networks. One sub-package a port."""
