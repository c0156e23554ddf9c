"""Whether GPUs can be tested here: python -m tests.gpu. Exit status 2, and what is missing, where they cannot."""

import sys


def main() -> None:
    try:
        import torch
    except ImportError as error:
        print(f"make gpu: {error}; install the suite, or have its dependencies on PYTHONPATH", file=sys.stderr)
        raise SystemExit(2) from None
    if not torch.cuda.is_available():
        built = torch.version.cuda
        why = f"torch {torch.__version__} is built for CUDA {built} and" if built else f"torch {torch.__version__}"
        also = "sees no GPU" if built else "is built for CPUs alone"
        print(f"make gpu: {why} {also}; it takes a CUDA device. make test tests the rest.", file=sys.stderr)
        raise SystemExit(2)
    for number in range(torch.cuda.device_count()):
        about = torch.cuda.get_device_properties(number)
        print(f"GPU {number}: {about.name}, sm_{about.major}{about.minor}, {about.total_memory / 2**30:.0f} GiB")
    import transformers

    print(f"torch {torch.__version__}, CUDA {torch.version.cuda}, transformers {transformers.__version__}")


if __name__ == "__main__":
    main()
