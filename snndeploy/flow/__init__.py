"""The stages of the toolchain: verbs put together, each handed what it must run. ``deploy`` is the page they meet on."""
