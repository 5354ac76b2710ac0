"""Where the losses come from, by the key that `cite=` names."""

REFERENCES = {
    "legendre1805": (
        "Legendre, A.-M. (1805). Nouvelles méthodes pour la détermination des orbites des comètes."
    ),
    "boscovich1757": (
        "Boscovich, R. J. (1757). De litteraria expeditione per pontificiam ditionem."
    ),
    "huber1964": (
        "Huber, P. J. (1964). Robust estimation of a location parameter. Annals of "
        "Mathematical Statistics 35(1), 73–101."
    ),
    "girshick2015": "Girshick, R. (2015). Fast R-CNN. ICCV.",
    "charbonnier1997": (
        "Charbonnier, P., Blanc-Féraud, L., Aubert, G., Barlaud, M. (1997). Deterministic "
        "edge-preserving regularization in computed imaging. IEEE Transactions on Image "
        "Processing 6(2), 298–311."
    ),
    "green1990": (
        "Green, P. J. (1990). Bayesian reconstructions from emission tomography data using a "
        "modified EM algorithm. IEEE Transactions on Medical Imaging 9(1), 84–93."
    ),
    "fair1974": (
        "Fair, R. C. (1974). On the robust estimation of econometric models. Annals of "
        "Economic and Social Measurement 3(4), 667–677."
    ),
    "black1996": (
        "Black, M. J., Anandan, P. (1996). The robust estimation of multiple motions. "
        "Computer Vision and Image Understanding 63(1), 75–104."
    ),
    "barron2019": ("Barron, J. T. (2019). A general and adaptive robust loss function. CVPR."),
    "money1982": (
        "Money, A. H., Affleck-Graves, J. F., Hart, M. L., Barr, G. D. I. (1982). The linear "
        "regression model: Lp norm estimation and the choice of p. Communications in "
        "Statistics 11(1), 89–109."
    ),
    "koenker1978": (
        "Koenker, R., Bassett, G. (1978). Regression quantiles. Econometrica 46(1), 33–50."
    ),
    "newey1987": (
        "Newey, W. K., Powell, J. L. (1987). Asymmetric least squares estimation and testing. "
        "Econometrica 55(4), 819–847."
    ),
    "vapnik1995": ("Vapnik, V. N. (1995). The Nature of Statistical Learning Theory. Springer."),
    "varian1975": (
        "Varian, H. R. (1975). A Bayesian approach to real estate assessment. In Studies in "
        "Bayesian Econometrics and Statistics, 195–208."
    ),
    "makridakis1993": (
        "Makridakis, S. (1993). Accuracy measures: theoretical and practical concerns. "
        "International Journal of Forecasting 9(4), 527–529."
    ),
    "chai2014": (
        "Chai, T., Draxler, R. R. (2014). Root mean square error (RMSE) or mean absolute "
        "error (MAE)? Geoscientific Model Development 7, 1247–1250."
    ),
    "nix1994": (
        "Nix, D. A., Weigend, A. S. (1994). Estimating the mean and variance of the target "
        "probability distribution. ICNN."
    ),
    "nelder1972": (
        "Nelder, J. A., Wedderburn, R. W. M. (1972). Generalized linear models. Journal of "
        "the Royal Statistical Society A 135(3), 370–384."
    ),
    "jorgensen1987": (
        "Jørgensen, B. (1987). Exponential dispersion models. Journal of the Royal "
        "Statistical Society B 49(2), 127–162."
    ),
    "lawless1987": (
        "Lawless, J. F. (1987). Negative binomial and mixed Poisson regression. Canadian "
        "Journal of Statistics 15(3), 209–225."
    ),
    "tweedie1957": (
        "Tweedie, M. C. K. (1957). Statistical properties of inverse Gaussian distributions. "
        "Annals of Mathematical Statistics 28(2), 362–377."
    ),
    "good1952": (
        "Good, I. J. (1952). Rational decisions. Journal of the Royal Statistical Society B "
        "14(1), 107–114."
    ),
    "friedman2000": (
        "Friedman, J., Hastie, T., Tibshirani, R. (2000). Additive logistic regression: a "
        "statistical view of boosting. Annals of Statistics 28(2), 337–407."
    ),
    "cortes1995": (
        "Cortes, C., Vapnik, V. (1995). Support-vector networks. Machine Learning 20, 273–297."
    ),
    "lee2001": (
        "Lee, Y.-J., Mangasarian, O. L. (2001). SSVM: a smooth support vector machine for "
        "classification. Computational Optimization and Applications 20, 5–22."
    ),
    "rennie2005": (
        "Rennie, J. D. M., Srebro, N. (2005). Loss functions for preference levels: "
        "regression with discrete ordered labels. IJCAI workshop on advances in preference "
        "handling."
    ),
    "zhang2004": (
        "Zhang, T. (2004). Solving large scale linear prediction problems using stochastic "
        "gradient descent algorithms. ICML."
    ),
    "rosenblatt1958": (
        "Rosenblatt, F. (1958). The perceptron: a probabilistic model for information storage "
        "and organization in the brain. Psychological Review 65(6), 386–408."
    ),
    "freund1997": (
        "Freund, Y., Schapire, R. E. (1997). A decision-theoretic generalization of on-line "
        "learning and an application to boosting. Journal of Computer and System Sciences "
        "55(1), 119–139."
    ),
    "devroye1996": (
        "Devroye, L., Györfi, L., Lugosi, G. (1996). A Probabilistic Theory of Pattern "
        "Recognition. Springer."
    ),
    "lin2017": (
        "Lin, T.-Y., Goyal, P., Girshick, R., He, K., Dollár, P. (2017). Focal loss for dense "
        "object detection. ICCV."
    ),
    "benbaruch2021": (
        "Ben-Baruch, E., Ridnik, T., Zamir, N., Noy, A., Friedman, I., Protter, M., "
        "Zelnik-Manor, L. (2021). Asymmetric loss for multi-label classification. ICCV."
    ),
    "herbrich2000": (
        "Herbrich, R., Graepel, T., Obermayer, K. (2000). Large margin rank boundaries for ordinal "
        "regression. In Advances in Large Margin Classifiers, 115–132."
    ),
    "chapelle2010": (
        "Chapelle, O., Keerthi, S. S. (2010). Efficient algorithms for ranking with SVMs. "
        "Information Retrieval 13(3), 201–215."
    ),
    "burges2005": (
        "Burges, C., Shaked, T., Renshaw, E., Lazier, A., Deeds, M., Hamilton, N., Hullender, G. "
        "(2005). Learning to rank using gradient descent. ICML."
    ),
    "freund2003": (
        "Freund, Y., Iyer, R., Schapire, R. E., Singer, Y. (2003). An efficient boosting algorithm "
        "for combining preferences. Journal of Machine Learning Research 4, 933–969."
    ),
    "burges2006": (
        "Burges, C. J. C., Ragno, R., Le, Q. V. (2006). Learning to rank with nonsmooth cost "
        "functions. NIPS."
    ),
    "rendle2009": (
        "Rendle, S., Freudenthaler, C., Gantner, Z., Schmidt-Thieme, L. (2009). BPR: Bayesian "
        "personalized ranking from implicit feedback. UAI."
    ),
    "bruch2019": (
        "Bruch, S., Wang, X., Bendersky, M., Najork, M. (2019). An analysis of the softmax cross "
        "entropy loss for learning-to-rank with binary relevance. ICTIR."
    ),
    "cao2007": (
        "Cao, Z., Qin, T., Liu, T.-Y., Tsai, M.-F., Li, H. (2007). Learning to rank: from pairwise "
        "approach to listwise approach. ICML."
    ),
    "leng2022": (
        "Leng, Z., Tan, M., Liu, C., Cubuk, E. D., Shi, X., Cheng, S., Anguelov, D. (2022). "
        "PolyLoss: a polynomial expansion perspective of classification loss functions. ICLR."
    ),
    "xia2008": (
        "Xia, F., Liu, T.-Y., Wang, J., Zhang, W., Li, H. (2008). Listwise approach to learning to "
        "rank: theory and algorithm. ICML."
    ),
    "qin2010": (
        "Qin, T., Liu, T.-Y., Li, H. (2010). A general approximation framework for direct "
        "optimization of information retrieval measures. Information Retrieval 13(4), 375–397."
    ),
    "hadsell2006": (
        "Hadsell, R., Chopra, S., LeCun, Y. (2006). Dimensionality reduction by learning an "
        "invariant mapping. CVPR."
    ),
    "balntas2016": (
        "Balntas, V., Riba, E., Ponsa, D., Mikolajczyk, K. (2016). Learning local feature "
        "descriptors with triplets and shallow convolutional neural networks. BMVC."
    ),
    "salton1975": (
        "Salton, G., Wong, A., Yang, C. S. (1975). A vector space model for automatic indexing. "
        "Communications of the ACM 18(11), 613–620."
    ),
    "bromley1993": (
        "Bromley, J., Guyon, I., LeCun, Y., Säckinger, E., Shah, R. (1993). Signature "
        "verification using a 'Siamese' time delay neural network. NIPS."
    ),
    "hermans2017": (
        "Hermans, A., Beyer, L., Leibe, B. (2017). In defense of the triplet loss for person "
        "re-identification. arXiv:1703.07737."
    ),
    "oord2018": (
        "van den Oord, A., Li, Y., Vinyals, O. (2018). Representation learning with contrastive "
        "predictive coding. arXiv:1807.03748."
    ),
    "chen2020": (
        "Chen, T., Kornblith, S., Norouzi, M., Hinton, G. (2020). A simple framework for "
        "contrastive learning of visual representations. ICML."
    ),
    "khosla2020": (
        "Khosla, P., Teterwak, P., Wang, C., Sarna, A., Tian, Y., Isola, P., Maschinot, A., Liu, "
        "C., Krishnan, D. (2020). Supervised contrastive learning. NeurIPS."
    ),
    "wang2019": (
        "Wang, X., Han, X., Huang, W., Dong, D., Scott, M. R. (2019). Multi-similarity loss with "
        "general pair weighting for deep metric learning. CVPR."
    ),
    "zhang2018": (
        "Zhang, Z., Sabuncu, M. R. (2018). Generalized cross entropy loss for training deep neural "
        "networks with noisy labels. NeurIPS."
    ),
    "kullback1951": (
        "Kullback, S., Leibler, R. A. (1951). On information and sufficiency. Annals of "
        "Mathematical Statistics 22(1), 79–86."
    ),
    "lin1991": (
        "Lin, J. (1991). Divergence measures based on the Shannon entropy. IEEE Transactions on "
        "Information Theory 37(1), 145–151."
    ),
    "brier1950": (
        "Brier, G. W. (1950). Verification of forecasts expressed in terms of probability. "
        "Monthly Weather Review 78(1), 1–3."
    ),
    "crammer2001": (
        "Crammer, K., Singer, Y. (2001). On the algorithmic implementation of multiclass "
        "kernel-based vector machines. Journal of Machine Learning Research 2, 265–292."
    ),
    "weston1999": (
        "Weston, J., Watkins, C. (1999). Support vector machines for multi-class pattern "
        "recognition. ESANN."
    ),
    "collins2002": (
        "Collins, M. (2002). Discriminative training methods for hidden Markov models: theory and "
        "experiments with perceptron algorithms. EMNLP."
    ),
    "martins2016": (
        "Martins, A. F. T., Astudillo, R. F. (2016). From softmax to sparsemax: a sparse model of "
        "attention and multi-label classification. ICML."
    ),
    "mccullagh1980": (
        "McCullagh, P. (1980). Regression models for ordinal data. Journal of the Royal "
        "Statistical Society B 42(2), 109–142."
    ),
    "milletari2016": (
        "Milletari, F., Navab, N., Ahmadi, S.-A. (2016). V-Net: fully convolutional neural "
        "networks for volumetric medical image segmentation. 3DV."
    ),
    "salehi2017": (
        "Salehi, S. S. M., Erdogmus, D., Gholipour, A. (2017). Tversky loss function for image "
        "segmentation using 3D fully convolutional deep networks. MLMI."
    ),
    "rahman2016": (
        "Rahman, M. A., Wang, Y. (2016). Optimizing intersection-over-union in deep neural "
        "networks for image segmentation. ISVC."
    ),
    "williams1992": (
        "Williams, R. J. (1992). Simple statistical gradient-following algorithms for "
        "connectionist reinforcement learning. Machine Learning 8, 229–256."
    ),
}
