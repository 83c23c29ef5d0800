"""Names by their old home, until every branch has moved on."""

from runner.core.plan import DEFAULT_CACHE_LIMIT as DEFAULT_CACHE_LIMIT
from runner.core.plan import Decision as Decision
from runner.core.plan import Facts as Facts
from runner.core.plan import Plan as Plan
from runner.core.plan import Record as Record
from runner.core.plan import ResumePoint as ResumePoint
from runner.core.reader import LAST as LAST
from runner.core.reader import Reader as Reader
from runner.core.reader import SelectRule as SelectRule
from runner.core.reader import StopRule as StopRule
from runner.core.records import AttemptStatus as AttemptStatus
from runner.core.records import EpochRecord as EpochRecord
from runner.core.records import Metric as Metric
from runner.core.records import RunStatus as RunStatus
from runner.core.run import Cell as Cell
from runner.core.run import Published as Published
from runner.core.run import Run as Run
from runner.core.run import Settings as Settings
from runner.core.stages import FrozenPrefix as FrozenPrefix
from runner.core.stages import Stage as Stage
from runner.core.stages import StageKind as StageKind
from runner.core.trajectory import Segment as Segment
