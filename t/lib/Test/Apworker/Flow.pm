package Test::Apworker::Flow;

# Builds what the app would hand out: jobs, flow versions, steps.

use strict;
use warnings;

use base 'Exporter';
our @EXPORT = qw/code_step piece_step flow_version flow_job/;

# A code step / piece step, chained with next => $step.
sub code_step {
	my (%o) = @_;
	return {
		name => $o{name} || 'step_1', type => 'CODE', valid => \1,
		displayName => $o{name} || 'step_1',
		settings => { input => $o{input} || {}, sourceCode => {
			packageJson => $o{package} || '{}',
			code => $o{code} || 'export const code = async () => 1;',
		} },
		$o{next} ? (nextAction => $o{next}) : (),
	};
}

sub piece_step {
	my (%o) = @_;
	return {
		name => $o{name} || 'step_1', type => 'PIECE', valid => \1,
		displayName => $o{name} || 'step_1',
		settings => { pieceName => $o{piece}, input => $o{input} || {},
			pieceVersion => $o{version} || '0.0.1',
			actionName => $o{action} || 'run' },
		$o{next} ? (nextAction => $o{next}) : (),
	};
}

# A flow version.  engine => [ {do => ...}, ... ] is the script of the engine
# double, step => the first action.
sub flow_version {
	my (%o) = @_;
	my $id = $o{id} || 'fv1';
	my $input = $o{engine} ? { double => $o{engine} } : {};
	return {
		id => $id, flowId => $o{flow} || 'f1', displayName => $id,
		created => '2030-01-01T00:00:00.000Z',
		updated => '2030-01-01T00:00:00.000Z',
		valid => \1, schemaVersion => '22', state => 'LOCKED',
		agentIds => [], connectionIds => [], notes => [],
		updatedBy => undef, backupFiles => undef,
		trigger => { name => 'trigger', type => 'EMPTY', valid => \1,
			displayName => 'trigger', settings => { input => $input },
			$o{step} ? (nextAction => $o{step}) : () },
		%{ $o{fields} || {} },
	};
}

# A job of the app double: EXECUTE_FLOW unless data says otherwise.  The flow
# version travels beside it to the double (engine => script, step => action).
sub flow_job {
	my (%o) = @_;
	my $id = $o{id} || 'j1';
	my $fv = $o{version} || "fv-$id";
	return {
		jobId => $id,
		jobData => {
			jobType => 'EXECUTE_FLOW', schemaVersion => 10,
			projectId => 'p1', platformId => 'pl1',
			flowId => 'f1', flowVersionId => $fv,
			runId => "run-$id", logsFileId => "log-$id",
			environment => 'PRODUCTION', executionType => 'BEGIN',
			executeTrigger => \0, workerHandlerId => undef,
			payload => { type => 'inline', value => {} },
			streamStepProgress => 'NONE', %{ $o{data} || {} },
		},
		attempsStarted => 0,
		engineToken => $o{engine_token} || "engine-token-$id",
		$o{no_version} ? () : (flowVersion => flow_version(
			id => $fv, engine => $o{engine}, step => $o{step},
			fields => $o{fields})),
	};
}

1;
