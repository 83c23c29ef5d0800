"""The corruptions of CIFAR-10-C, generated: settings in `corruption.py`, torch in `*_net` modules.

To add one: its constants in `constants.py`, and what is drawn and done in a `*_net` module and
`kinds_net.py`.
"""
