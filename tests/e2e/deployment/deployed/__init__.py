"""A whole federation of real processes on this machine's loopback interface, for tests.

    from deployed import Federation

    with Federation({"north": frame, ...}, SCHEMA) as federation:
        federation.open()                         # coordinator up; sites registered, bundle in
        study = federation.agree(plan)            # the study's folder; approved at every site
        federation.start()                        # vaults and couriers
        federation.run(study)                     # `fedsynth study run`; then study / "generator"
        federation.sites["north"].vault.kill()    # or start, stop, alive, text (its log)

Processes (`Process`): `coordinator.superlink`, `.superexec`, `.proxy`; `sites[name].vault`, `.courier`
(which keeps a SuperNode and a SuperExec running, see `Site.flower_pids`). Ports are chosen when they
start. Leaving the `with` ends every process, whatever happened; the kernel does, if the test was killed.

* `process`: one process, its log and its end. `separation`: other users, and a network without routes.
* `coordinator`: SuperLink, SuperExec, nginx. `site`: what a data steward types, and the two processes.
* `bundles`: app bundles, honest and hostile.
"""

from deployed.coordinator import Coordinator
from deployed.federation import Federation
from deployed.process import Process, free_ports
from deployed.site import Site

__all__ = ["Coordinator", "Federation", "Process", "Site", "free_ports"]
