"""The vault: the only process that sees records and the only one that spends privacy budget.

* `checks`: checks a request before a record is touched.
* `measure`: noisy counts of marginals. `discriminate`, `dpsgd`: local DP-SGD of the discriminator;
  `assignment`: a checked request, and the memory and rounding that follow from it.
* `service`: takes request bytes and gives reply bytes: check, charge, compute, store, reply.
* `admission`: decides whether a plan may run here, and whether the budget allows its next step.
* `socket_server`: the service on a unix socket. `callers`: how a courier calls it, over the socket or
  in the same process.

Importing this package imports neither torch nor pandas: the courier reaches `callers` through it.
"""
