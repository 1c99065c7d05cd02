"""The secure sum: the coordinator learns the sum of the sites' noisy counts, and of no site its own.

After Bonawitz et al. 2017, "Practical Secure Aggregation for Privacy-Preserving Machine Learning"
(CCS, doi:10.1145/3133956.3133982; here "Bonawitz"), Fig. 4, in the version against an
active coordinator.
A site is a *party*; it is named by its position in the plan's list of sites.

1. *Keys*, once a study. Every party makes a channel key, and for each step a mask key and a self-mask
   seed (`keys`). It signs the public halves with its receipt key, which the plan names.
2. *Shares*, once a study. It shares each mask key and each seed among the parties (`shamir`) and seals
   the shares to them (`shares`).
3. *Masked input*, for each step. It adds to its noisy counts a mask from its seed, and for each other
   party of the step a mask that the other subtracts (`masks`). What it sends looks uniform.
4. *The set* of parties whose masked inputs are summed: all, or if some do not answer a smaller one. A
   party signs one such set, or none (`agreement`).
5. *Unmasking*. For the set of all, or shown enough signatures on a smaller one, a party gives for each
   party in it the share of the seed, and for each other one the share of the mask key. From these the
   coordinator takes the masks off the sum (`fedsynth_server.messages.opening`).

Nothing here knows records, noise or the ledger. The vault adds the noise before step 3, and its ledger
holds every decision before it is told to anybody.
"""
