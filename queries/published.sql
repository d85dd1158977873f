-- brief: scores: rank correlations that others report
-- A rank correlation between a proxy's scores and accuracies that others report: the paper or work, where in it, the
-- proxy by the name that it has here, the space and dataset, the statistic (kendall or spearman) and its value (-1..1).
-- parameter: space TEXT 'all' the search space, such as nasbench201, or 'all'
-- parameter: dataset TEXT 'all' the dataset, or 'all'
SELECT source, place, proxy, space, dataset, statistic, value
FROM published
WHERE $space IN ('all', space) AND $dataset IN ('all', dataset)
ORDER BY space, dataset, statistic, value DESC, source, proxy
