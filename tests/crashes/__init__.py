"""Workers that die at a chosen point of a chosen step, and others that go on: real processes, real servers.

FAULT in a worker's environment says where and how (faults.py). Nothing of it is in the product.
"""
