"""Tests of the contracts on the wire."""
