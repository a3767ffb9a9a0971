"""The dashboard: pages that work without scripts, one file each; GET changes nothing."""
