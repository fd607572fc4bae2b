"""Tools: one door to each outside thing (network, ffmpeg, fonts). They import `core` only."""
