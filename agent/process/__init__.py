"""What a process has of its own, be it the agent or a further worker.

fleet            the services that it runs, one for each backend
endings          signals, and what else ends it
draining         how it ends: asking for no more, finishing what runs
allocation       what is free goes back to the system
descriptors      how many files and sockets it may have open
service_manager  a word to systemd
"""
