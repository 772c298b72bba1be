"""Chips as data: one TOML file each, read by ``snndeploy.hw``."""
