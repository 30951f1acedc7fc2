"""The page at /ui/: its server side, from raw requests to streams."""
