"""Messages between the coordinator and the sites: who is which site, who has answered what."""
