"""What a process has of its own.

allocation       freed memory is kept for the next piece of a body, and given back in the end
descriptors      how many files and sockets it may have open
reloading        files that are read again, together, when they change
watched          one such file and what it says
service_manager  a word to systemd
"""
