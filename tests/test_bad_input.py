"""Every mistake of a user: one line that says what, where and what to do, exit code 2, no trace."""

import pytest
from conftest import assert_same_weights

from devices.built_in import LIBRARY, Entry
from devices.library import find

LINEAR = LIBRARY["double-linear"].response
SWITCHED = "--field double-exponential double-linear"
FLAGS = [
    ("--epochs 0", "--epochs 0: must be a finite number >= 1"),
    ("--batch_size 0", "--batch_size 0"),
    ("--n_models 0", "--n_models 0"),
    ("--layers 0", "--layers 0"),
    ("--layers 512 -3", "--layers -3"),
    ("--padding -1", "--padding -1"),
    ("--n_models 10000000", "more than 1000000 networks"),
    ("--seed -1", "--seed -1"),
    ("--seed 9223372036854775800 --n_models 50", "the last network's seed"),
    ("--lr -1", "--lr -1.0"),
    ("--lr inf", "--lr inf: must be a finite number"),
    ("--lr nan", "--lr nan"),
    ("--lr 1e39", "--lr 1e+39"),
    ("--lr many", "invalid float value: 'many'"),
    ("--epochs 2.5", "invalid int value: '2.5'"),
    ("--var -0.2", "--var -0.2"),
    ("--resistor_noise -1", "--resistor_noise -1.0"),
    ("--voltage_noise -1", "--voltage_noise -1.0"),
    ("--write_noise -0.1", "--write_noise -0.1: must be a finite number >= 0"),
    ("--write_noise inf", "--write_noise inf"),
    ("--device_noise", "--device_noise: has no effect where --resistor_noise is 0"),
    ("--study figure2 --device_noise", "--device_noise: has no effect where --resistor_noise is 0"),
    ("--device_noise 0.1 --resistor_noise 0.1", "unexpected '0.1'"),
    ("--physical_clipping 0.18", "unexpected '0.18'"),
    ("--scale", "--scale is taken no more: the original scripts read it and did nothing with it"),
    ("--scale 2", "--scale is taken no more"),
    ("--scale=2", "--scale is taken no more"),
    ("--clipping -0.1", "--clipping -0.1"),
    ("--cell two-way", "--cell two-way: unknown; the valid ones: one-way, both-ways, reference"),
    ("--rounding up", "--rounding up: unknown; the valid ones: none, nearest, stochastic"),
    ("--cell reference reference", "--cell reference: given 2 times"),
    ("--rounding nearest", "--rounding nearest: works with the smallest pulse, which is 0 here"),
    (
        "--accumulate",
        "--accumulate: works with the smallest pulse, which is 0 here; give --clipping",
    ),
    ("--accumulate maybe", "invalid choice: 'maybe'"),
    (
        "--accumulate --rounding stochastic --clipping 0.1",
        "--accumulate: an accumulator loses nothing that stochastic rounding could save",
    ),
    (
        "--rounding nearest --clipping 0.1 --physical_clipping",
        "--rounding nearest: does not go with --physical_clipping",
    ),
    ("--accumulate --clipping 0.1 --physical_clipping", "--accumulate: does not go with"),
    ("--max_pulses 0", "--max_pulses 0.0: must be a finite number > 0"),
    ("--max_pulses 0.05 --clipping 0.1", "--max_pulses 0.05: is below the smallest pulse"),
    ("--cell both-ways --time_switch 2 " + SWITCHED, "leave out --time_switch"),
    ("--cell reference --switch_epoch 2 " + SWITCHED, "leave out --switch_epoch"),
    ("--cell reference --init 0.3", "fresh double-linear devices start at 2.458, 0.284 from an"),
    ("--clipping 28", "--clipping 28: double-linear devices take at most 27 pulses"),
    ("--input_scale -1", "--input_scale -1.0"),
    ("--input_scale 0", "--input_scale 0.0: must be a finite number > 0"),
    ("--init -0.01", "--init -0.01"),
    ("--init 0.3", "beyond the device's range"),
    ("--init 0.3 --field double-exponential double-linear", "a fresh pair of double-linear"),
    ("--task CIFAR", "--task CIFAR: unknown; the valid ones: MNIST, Fashion, Digits"),
    ("--field linear", "--field linear: unknown; the valid ones: double-linear, double-exp"),
    ("--field double-curved-10.5", "after double-curved- comes a number from -10 to 10"),
    ("--field double-curved-2 double-curved-2.0", "--field double-curved-2.0: given 2 times"),
    ("--field none.json", "--field none.json: cannot be read: No such file or directory; name a"),
    ("--field ./none", "--field none: cannot be read: No such file"),
    ("--study figure1 --field none.json", "--field none.json: cannot be read: No such file"),
    ("--study paper", "--study paper: unknown; the valid ones: figure1, figure2, figure3"),
    ("--device gpu", "must be auto, cpu, cuda, or cuda:1"),
    ("--device cuda:99", "this machine offers"),
    ("--compile maybe", "--compile maybe: unknown; the valid ones: auto, on, off"),
    ("--checkpoint_minutes -1", "--checkpoint_minutes -1.0"),
    ("--lr 500 1000 500", "--lr 500.0: given 2 times"),
    ("--field double-linear double-linear", "given 2 times"),
    ("--time_switch 2", "--time_switch: needs two fields, --field A B: first that at the st"),
    ("--field double-ideal --switch_epoch 2", "after the switch; there is 1"),
    ("--field double-linear double-exponential double-ideal --time_switch 2", "there are 3"),
    ("--study own-device --time_switch 2", "there are 3"),
    ("--field double-linear double-linear --time_switch 2", "double-linear-double-linear is not"),
    (f"{SWITCHED} --time_switch 1", "--time_switch 1: must be from 2 to 20 with --epochs 20"),
    (f"{SWITCHED} --time_switch 4 6 --epochs 5", "--time_switch 6: must be from 2 to 5 with --ep"),
    (f"{SWITCHED} --time_switch 2.5", "invalid int value: '2.5'"),
    (f"{SWITCHED} --time_switch 11 12", "--time_switch 11 and 12: both switch at the start of"),
    (f"{SWITCHED} --time_switch 2 2", "--time_switch 2: given 2 times; give each value once"),
    (f"{SWITCHED} --time_switch 2 --epochs 1", "--time_switch 2: nothing can be switched in one"),
    (f"{SWITCHED} --switch_epoch 0", "--switch_epoch 0: must be from 1 to 19 with --epochs 20"),
    (f"{SWITCHED} --switch_epoch 20", "--switch_epoch 20: must be from 1 to 19"),
    (f"{SWITCHED} --switch_epoch 1 --time_switch 2", "--time_switch and --switch_epoch: give one"),
    (f"{SWITCHED} --time_switch 2 --init 0.3", "a fresh pair of double-linear devices needs 2 x"),
    ("--field double-ideal double-linear --time_switch 2", "let them come second"),
    ("--study switch --epochs 1", "--study switch: nothing to switch in 1 epochs"),
    ("--lr", "--lr: expected at least one argument"),
]


@pytest.mark.parametrize(("arguments", "message"), FLAGS, ids=[flags for flags, _ in FLAGS])
def test_flags(arguments, message, refusal):
    assert message in refusal(*arguments.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--padding 1000000", "must be at most 1000"),
        ("--layers 10000000", "GiB are free; choose smaller --layers"),
        ("--tf32 --device cpu", "--tf32 has an effect on a CUDA GPU only"),
    ],
)
def test_what_shows_once_data_and_processor_are_known(arguments, message, refusal):
    assert message in refusal("--task", "Digits", *arguments.split())


@pytest.mark.parametrize("flag", ["--epochs", "--layers", "--padding", "--seed", "--n_models"])
@pytest.mark.parametrize("value", [2**31, 2**64])
def test_an_integer_that_is_too_large_for_c_is_refused_with_its_flag(flag, value, refusal):
    if (flag, value) == ("--seed", 2**31):
        pytest.skip("seeds have 63 bits")
    line = refusal("--task", "Digits", "--device", "cpu", "--compile", "off", flag, value)
    assert line.startswith(f"main.py: error: {flag}")


@pytest.mark.parametrize("size", [100_000_000, 2**63, 2**64])
def test_a_batch_is_at_most_the_training_set(size, simulate):
    """A batch has at most 1500 images, so an epoch is one step, whatever larger number is given."""
    (huge,) = simulate(f"--batch_size {size} --lr 4000")
    (full,) = simulate("--batch_size 1500 --lr 4000")
    assert huge.json["batch_size"] == size
    assert huge.json["loss"] == full.json["loss"]
    assert huge.state["layers.2.num_batches_tracked"] == 1
    assert_same_weights(huge, full)


def test_a_device_that_relaxes_to_none_that_there_is(monkeypatch, refusal):
    monkeypatch.setitem(LIBRARY, "orphan", Entry(LINEAR, relaxes_to="nobody"))
    with pytest.raises(ValueError, match="orphan relaxes to, nobody: unknown; the valid ones"):
        find("orphan")
    line = refusal("--field", "orphan")
    assert line.startswith("main.py: error: --field the device that orphan relaxes to, nobody: ")
    assert "double-linear, double-exponential" in line


def test_output_dir_that_is_a_file(refusal, tmp_path):
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        assert "is a file" in refusal("--output_dir", path)
    assert (tmp_path / "file").read_text() == "x"


def test_output_dir_that_cannot_be_made(refusal, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "unmounted disk")
    for path, reason in (
        (tmp_path / "link" / "out", "is a link to nothing"),
        (tmp_path / ("x" * 300), "File name too long"),
    ):
        assert reason in refusal("--output_dir", path)
    assert [path.name for path in tmp_path.iterdir()] == ["link"]


@pytest.mark.parametrize(
    ("size", "message"),
    [("2", "$WORLD_SIZE is set, but not all it needs ("), ("two", "$WORLD_SIZE is no number; ")],
)
def test_a_launcher_that_says_only_half(size, message, refusal, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", size)
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    line = refusal("--task", "Digits")
    assert message in line
    assert "; start several processes with torchrun" in line


@pytest.mark.skipif("os.path.exists('/dev/nvidia0')")
def test_cuda_asked_for_and_absent(refusal):
    line = refusal("--device", "cuda")
    assert "this machine offers 0 CUDA GPUs; use --device auto or --device cpu" in line
