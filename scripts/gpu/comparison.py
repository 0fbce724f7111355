"""Ours beside the fastest PyTorch of the same work."""


def ours(rows, name, precision="bf16"):
    found = [r for r in rows if r["name"] == name and r["precision"] == precision]
    return min(found, key=lambda r: r["median_ms"]) if found else None


def peers(rows, **wanted):
    """Fastest first."""
    found = [r for r in rows if all(r.get(k) == v for k, v in wanted.items())]
    return sorted(found, key=lambda r: r["median_ms"])


def work(sizes):
    """[(title, our benchmark, what PyTorch's rows have)]."""
    s = sizes
    at = f"crop:{s.crop}/batch:"
    pairs = [(f"{s.model}, training step, crop {s.crop}, batch {s.batch}", f"training/{s.model}/{at}{s.batch}",
              {"name": "train", "batch": s.batch, "crop": s.crop}),
             (f"{s.model}, inference, batch {s.batch}", f"inference/{s.model}/{at}{s.batch}",
              {"name": "infer", "batch": s.batch, "crop": s.crop}),
             (f"{s.model}, inference, batch 1", f"inference/{s.model}/{at}1",
              {"name": "infer", "batch": 1, "crop": s.crop})]
    for size, mask in s.psa:
        for kind, title, peer in (("psa_projected", "PSA with its 1x1 convolution", "psa_full"),
                                  ("psa", "PSA from logits", "psa_core")):
            for branch in ("collect", "distribute"):
                for ours_named, passes in (("forward", "fwd"), ("forward_backward", "fwd+bwd")):
                    pairs.append((f"{title}, {size}x{size}, mask {mask}, {branch}, {passes}",
                                  f"{kind}/{branch}_{ours_named}/batch:{s.batch}/size:{size}/mask:{mask}",
                                  {"name": peer, "batch": s.batch, "size": size, "mask": mask, "branch": branch,
                                   "passes": passes}))
    return pairs


def table(sizes, our_rows, torch_rows):
    """[{work, ours, torch, variant, ratio, memories}]: what was measured on at least one side."""
    found = []
    for title, name, wanted in work(sizes):
        a, others = ours(our_rows, name), peers(torch_rows, **wanted)
        if a is None and not others:
            continue
        row = {"work": title, "ours_ms": a and a["median_ms"], "ours_min_ms": a and a["min_ms"],
               "ours_MiB": a and a.get("peak_MiB")}
        if others:
            row.update(torch_ms=others[0]["median_ms"], torch_min_ms=others[0]["min_ms"], variant=others[0]["variant"],
                       torch_MiB=others[0].get("peak_mem_mb"))
        if a and others:
            row["ratio"] = others[0]["median_ms"] / a["median_ms"]
        found.append(row)
    return found
