"""How each library runs steps, a module for each.

A peer is made of a workload, its arrays, a variant, a number of threads and the noise to
use, if not its own. `epoch(order)` runs the steps whose rows `order` lists (None where a
step takes all data) and gives the loss of each as an array, none where there is no loss;
all work is done when it returns.
"""
