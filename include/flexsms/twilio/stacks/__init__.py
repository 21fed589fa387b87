"""The two generations of Flex messaging behind one Protocol."""
