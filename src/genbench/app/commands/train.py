"""`genbench train`."""

from omegaconf import DictConfig

from genbench.app import launch
from genbench.app.build import resolve
from genbench.app.judged import judge_when_finished
from genbench.app.rules import check_rules
from genbench.app.training import train
from genbench.app.validate import validate_config
from genbench.evaluation.ranks import distributed, rank
from genbench.training.pruning import Pruned


def run(config: DictConfig) -> None:
    """Trains one model, or resumes it, and says where it is; on several devices by a process for each."""
    plain = resolve(config)
    # once, before there are several to tell it
    validate_config(plain, "train")
    check_rules(plain)
    launch.check_accelerator(plain)
    if launch.handed_over(plain, "train"):
        return
    with distributed():
        judge = judge_when_finished(config) if plain["judge"] is True else None
        try:
            finished = train(config, judge)
        except Pruned as stop:
            if rank() == 0:
                print(f"pruned at {stop.images} images: without trial= the same command goes on")
            return
        if rank() != 0:
            return
        summary = finished.summary
        print(
            f"{finished.path}: {summary['images']} images in {summary['seconds']:.1f} s "
            f"({summary['images_per_second']:.0f} images/s), {summary['params']} parameters\n"
            f"next: genbench sample run={finished.path}  or  genbench evaluate run={finished.path}"
        )
