"""Programmable Chat and Proxy: the generation that the original recipes were written for."""
