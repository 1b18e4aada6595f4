"""Captioned scenes drawn by a program, the closed language of their captions, and a judge that reads both."""

from genbench.shapes.checker import Checker, Verdict
from genbench.shapes.claim import SKILLS, Claim, Group
from genbench.shapes.difficulty import Difficulty
from genbench.shapes.grammar import OutsideGrammarError, parse, write
from genbench.shapes.objects import Object
from genbench.shapes.render import render
from genbench.shapes.scene import Scene, scene_of, skills

__all__ = [
    "SKILLS",
    "Checker",
    "Claim",
    "Difficulty",
    "Group",
    "Object",
    "OutsideGrammarError",
    "Scene",
    "Verdict",
    "parse",
    "render",
    "scene_of",
    "skills",
    "write",
]
