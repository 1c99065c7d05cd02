"""The vault: the one process that sees records, and the only one that spends privacy budget.

* `checks`: everything that is refused before a record is touched.
* `measure`: noisy counts of marginals. `discriminate`, `dpsgd`: local DP-SGD of the discriminator;
  `assignment`: what is asked for, and which memory and rounding follow from that.
* `service`: request bytes in, reply bytes out: check, charge, compute, store, reply.
* `admission`: whether a plan may run here, and whether its budget lasts for the next step.
* `socket_server`: the service on a unix socket. `callers`: how a courier calls it, there or in process.

Importing this package imports neither torch nor pandas: the courier reaches `callers` through it.
"""
