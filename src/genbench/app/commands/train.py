"""`genbench train`."""

from omegaconf import DictConfig

from genbench.app.training import train


def run(config: DictConfig) -> None:
    """Trains one model, or resumes it, and says where it is."""
    finished = train(config)
    summary = finished.summary
    print(
        f"{finished.path}: {summary['images']} images in {summary['seconds']:.1f} s "
        f"({summary['images_per_second']:.0f} images/s), {summary['params']} parameters\n"
        f"next: genbench sample run={finished.path}  or  genbench evaluate run={finished.path}"
    )
