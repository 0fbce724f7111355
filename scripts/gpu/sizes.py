"""How large everything is: what is measured on a GPU, and what a rehearsal on the emulation can do in seconds."""


class Sizes:
    model, crop, batch = "psanet50", 465, 16
    bench = []                                    # more options of psanet-bench
    psa = [(30, 59), (59, 117), (59, 59)]         # map, mask
    networks = "psanet101|pspnet50|fcn50"         # beside the model
    cases = None                                  # at most so many test cases a stage
    case_limit = 90
    cuda, devices = None, None                    # patterns of test cases; None: all
    own = "conv2d*,gemm*,matmul*"                 # what PSANET_ALGORITHMS=ours takes from the libraries
    networks_golden, layers_golden = "golden*", "golden*"
    steps, scenes, scene = 50, 64, (480, 640)
    data_workers = 14
    torch_times = ["--warmup", "10", "--iters", "40"]
    camvid = []                                   # more --set of the recipe
    camvid_eval = []
    sanitizer = [("memcheck", "psa*,batch norm*,loss*,resize*,pool*,softmax*,sgd*,elementwise*,dropout*"),
                 ("racecheck", "psa:*,batch norm*,loss*")]
    without = []                                  # programs that are not expected


class Rehearsal(Sizes):
    model, crop, batch = "psanet18_small", 33, 2
    bench = ["--tiny"]
    psa = [(5, 9)]
    networks = "fcn18_small"
    cases = 3
    case_limit = 60
    cuda, devices = "softmax*", "device ops: pointwise*,device ops: pools"
    own = "gemm: one row*"
    networks_golden, layers_golden = "golden: the hash scheme*", "golden: the mask operator*"
    steps, scenes, scene = 2, 4, (48, 64)
    data_workers = 1
    camvid = ["model=psanet18_small", "let.crop_h=33", "let.crop_w=33", "iterations=2", "batch=2"]
    camvid_eval = ["--base-size", "40"]
    # There is no emulation of NCCL that the first could be linked with; the second asks the real cuDNN.
    without = ["test_nccl_device", "test_cudnn_plans"]
