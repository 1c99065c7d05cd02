"""What a site allows and what was spent: policy, ledger and its guards, receipts."""
