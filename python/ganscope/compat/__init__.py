"""Stand-ins for torch-fidelity, torchmetrics and clean-fid: the same arguments, the same keys of results.

What a stand-in does not do is a :class:`ganscope.UnsupportedError` that says so, never another number. All of them take
the weights of FID Inception by ``weights=`` or as the original names the argument, and run on the CPU.
"""
