import logging

# bitsandbytes warns at import that an optional CPU kernel is missing; it is slower without, on CPUs and 4-bit alone.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
