"""What things cost, as ratios measured in one run: a bare time says more about the machine than
about covend.
"""
