"""The files that say what a site allows and what was spent: policy, ledger, witness, receipts."""
