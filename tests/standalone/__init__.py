"""The stand-alone proxy as a process, spoken to by sockets and by agents' calls made by hand."""
