#!/usr/bin/env python3
"""Where the time of a recorded step goes: what each kernel took, joined with the node that launched it.

    kernel_times.py --launches launches.json --kernels kernels.tsv --ceilings ceilings.json --output table.json

launches.json: psanet-bench --launches (a line a program: its nodes in the order of their launches, with operations and
bytes). kernels.tsv: what libpsanet_kernel_times.so wrote meanwhile (bench/kernel_times.cpp says what is in a line).
ceilings.json: Google Benchmark's file with ceiling_copy (GB/s) and ceiling_matmul (GFLOP/s) of the same run.

A recorded step is one CUDA graph on one stream: the n-th kernel, copy or clear of a launch of the graph, by time, is
the n-th of the nodes' launches. Of all launches of a graph the median is taken, kernel by kernel. A node could not be
faster than max(operations / ceiling, bytes / ceiling): what it takes beyond that is lost.

Prints the table and writes it as JSON. Exit code 1 where the two files do not belong together, 2 for wrong input.
"""

import argparse
import collections
import json
import re
import statistics
import sys


class Refused(Exception):
    pass


def read_launches(path):
    """The programs of the file, each {"precision", "launches", "nodes": [...]}."""
    try:
        with open(path) as file:
            return [json.loads(line) for line in file if line.strip()]
    except (OSError, ValueError) as error:
        raise Refused(f"{path}: {error}; want what psanet-bench --launches writes")


def read_graph_launches(path):
    """Of each launch of a graph the pieces in the order of time: (begin, end in ns, kind, name)."""
    launches = collections.defaultdict(list)
    try:
        with open(path) as file:
            for number, line in enumerate(file, 1):
                columns = line.rstrip("\n").split("\t", 8)
                if len(columns) != 9:
                    raise Refused(f"{path}: line {number}: {len(columns)} columns, want 9")
                kind, begin, end, _, correlation, graph = columns[:6]
                if graph != "0":
                    launches[graph, correlation].append((int(begin), int(end), kind, columns[8]))
    except (OSError, ValueError) as error:
        raise Refused(f"{path}: {error}")
    return [sorted(pieces) for pieces in launches.values()]


def read_ceilings(path):
    """(operations, bytes) a millisecond that a large product and a large copy reached."""
    try:
        with open(path) as file:
            results = json.load(file)["benchmarks"]
        flops = max(r["GFLOP/s"] for r in results if r["name"].startswith("ceiling_matmul")) * 1e6
        moved = max(r["GB/s"] for r in results if r["name"].startswith("ceiling_copy")) * 1e6
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Refused(f"{path}: {error!r}; want Google Benchmark's file with ceiling_copy and ceiling_matmul")
    return flops, moved


def short(name):
    """A kernel's name without its arguments."""
    name = re.sub(r"^(static )?void ", "", name)
    name = name.replace("psanet::kernels::cuda::", "").replace("(anonymous namespace)::", "")
    return re.split(r"\((?!anonymous)", name)[0][:100]


def join(programs, launches, flops_per_ms, bytes_per_ms):
    """The table of the program whose launches the most graph launches have the number of."""
    sizes = collections.Counter(len(pieces) for pieces in launches)
    known = [p for p in programs if p["launches"] > 0 and sizes[p["launches"]] > 0]
    if not known:
        raise Refused(f"no launch of a graph has as many pieces as a program of the file: "
                      f"{sorted(sizes.items())} (pieces, launches) against {[p['launches'] for p in programs]}")
    program = max(known, key=lambda p: (sizes[p["launches"]], p["launches"]))
    runs = [pieces for pieces in launches if len(pieces) == program["launches"]]
    milliseconds = [statistics.median((run[i][1] - run[i][0]) * 1e-6 for run in runs)
                    for i in range(program["launches"])]
    names = [short(piece[3]) for piece in runs[-1]]
    whole = statistics.median((run[-1][1] - run[0][0]) * 1e-6 for run in runs)

    nodes, kernels, at = [], {}, 0
    for node in program["nodes"]:
        mine = range(at, at + node["launches"])
        at += node["launches"]
        took = sum(milliseconds[i] for i in mine)
        least = max(node["flops"] / flops_per_ms, node["bytes"] / bytes_per_ms)
        lost = max(0.0, took - least)
        nodes.append({"node": node["node"], "op": node["op"], "ms": took, "least_ms": least, "lost_ms": lost,
                      "share": min(1.0, least / took) if took > 0 else 1.0, "kernels": [names[i] for i in mine]})
        for i in mine:
            kernel = kernels.setdefault(names[i], {"kernel": names[i], "ours": "psanet::" in runs[-1][i][3],
                                                   "launches": 0, "ms": 0.0, "lost_ms": 0.0})
            kernel["launches"] += 1
            kernel["ms"] += milliseconds[i]
            kernel["lost_ms"] += lost * milliseconds[i] / took if took > 0 else 0.0
    busy = sum(milliseconds)
    return {"precision": program["precision"], "runs": len(runs), "launches": program["launches"], "whole_ms": whole,
            "kernels_ms": busy, "between_ms": whole - busy,
            "ceilings": {"TFLOP/s": flops_per_ms * 1e-9, "GB/s": bytes_per_ms * 1e-6},
            "nodes": sorted(nodes, key=lambda n: -n["lost_ms"]),
            "kernels": sorted(kernels.values(), key=lambda k: -k["lost_ms"]),
            "ops": by_op(nodes)}


def by_op(nodes):
    ops = {}
    for node in nodes:
        op = ops.setdefault(node["op"], {"op": node["op"], "nodes": 0, "ms": 0.0, "least_ms": 0.0, "lost_ms": 0.0})
        op["nodes"] += 1
        for key in ("ms", "least_ms", "lost_ms"):
            op[key] += node[key]
    return sorted(ops.values(), key=lambda o: -o["lost_ms"])


def lines(table, most):
    yield (f"{table['whole_ms']:.3f} ms a step, median of {table['runs']}: {table['kernels_ms']:.3f} ms in "
           f"{table['launches']} kernels, copies and clears, {table['between_ms']:.3f} ms between them")
    yield f"ceilings: {table['ceilings']['TFLOP/s']:.1f} TFLOP/s, {table['ceilings']['GB/s']:.0f} GB/s"
    yield ""
    yield "| op | nodes | ms | at the ceiling | lost ms |"
    yield "|---|---|---|---|---|"
    for o in table["ops"][:most]:
        yield f"| {o['op']} | {o['nodes']} | {o['ms']:.3f} | {o['least_ms']:.3f} | {o['lost_ms']:.3f} |"
    yield ""
    yield "| kernel | launches | ms | lost ms |"
    yield "|---|---|---|---|"
    for k in table["kernels"][:most]:
        yield f"| `{k['kernel']}` | {k['launches']} | {k['ms']:.3f} | {k['lost_ms']:.3f} |"
    yield ""
    yield "| node | op | ms | share of the ceiling | lost ms |"
    yield "|---|---|---|---|---|"
    for n in table["nodes"][:most]:
        yield f"| {n['node']} | {n['op']} | {n['ms']:.3f} | {100 * n['share']:.0f} % | {n['lost_ms']:.3f} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("launches", "kernels", "ceilings", "output"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--most", type=int, default=25, help="rows of each printed table")
    options = parser.parse_args()
    try:
        programs, pieces = read_launches(options.launches), read_graph_launches(options.kernels)
        flops_per_ms, bytes_per_ms = read_ceilings(options.ceilings)
    except Refused as error:
        print(f"kernel_times: error: {error}", file=sys.stderr)
        return 2
    try:
        table = join(programs, pieces, flops_per_ms, bytes_per_ms)
    except Refused as error:
        print(f"kernel_times: error: {error}", file=sys.stderr)
        return 1
    with open(options.output, "w") as file:
        json.dump(table, file, indent=1)
        file.write("\n")
    print("\n".join(lines(table, options.most)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
