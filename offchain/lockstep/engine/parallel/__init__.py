"""Several processes do one step together, with the bits that one alone would have.

``layout`` says how a tensor lies over the ranks, ``sharding`` decides it for every node of a program, ``local`` writes
out what one rank computes and what all exchange. ``partial`` makes and joins the parts, ``exchange`` packs them,
``communicator`` carries them. ``stages`` and ``native_stages`` run a rank's share, ``share`` chooses between them,
``ranks`` starts the processes and ``worker`` is each of them.
"""
