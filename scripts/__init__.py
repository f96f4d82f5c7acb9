"""What `make` runs: starting everything on this machine, and deploying it. No part of any program.

    run             `make run`: stand-alone proxy, demo backend, agent
    run_appengine   `make run-appengine`: the three services over the Datastore emulator, demo backend, agent
    deploy          `make deploy`: the commands in their order, and what to type next
    preflight       what must hold before a deployment
    build_pyz       `make agent.pyz`: the agent in one file; pyz_start: what that file begins with
    children        child processes: start, watch, stop in order
    readiness       what has to be there first, and whether a page comes through yet
    gcloud          the one door to the `gcloud` command
    emulator        the vendor's Datastore emulator as a child process

Standard library only, but for `run_appengine`, which reads the yaml files with the classes of App Engine's SDK.
"""
