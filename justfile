# What is done often. `just` alone lists it.

tools := "../shared/tools"

# List what there is.
default:
    @just --list

# Everything CI checks.
check:
    .ci/run

# The tests alone.
test:
    cargo test

# Pictures and text of every page, from the demo.
shots:
    screenshots/make

# Time a draw, a sample and a decision.
bench:
    cargo bench

# The guard against the kernel's OOM killer, for real: takes ten minutes.
trial runs="20":
    cargo build --release --bin plimsoll
    cargo build --examples
    tests/trial --runs {{runs}}

# What the dashboard costs, beside its peers where they are installed.
cost seconds="10":
    #!/usr/bin/env bash
    set -euo pipefail
    if [ ! -x {{tools}}/tui-cost ]; then
        echo "{{tools}}/tui-cost is not here" >&2
        exit 1
    fi
    cargo build --release
    peers=()
    for peer in btop htop 'btm -r 1000'; do
        if command -v "${peer%% *}" >/dev/null; then peers+=(--compare "$peer"); fi
    done
    for processes in 150 2000; do
        {{tools}}/tui-cost --repeat 3 --seconds {{seconds}} --total-processes "$processes" \
            ${peers[@]+"${peers[@]}"} -- target/release/plimsoll --interval 1s
    done
